/** A typed parameter's value: 32-bit and double figures are numbers, 64-bit figures bigint. */
export type TypedValue = number | bigint | boolean | string;

/** Keys as libvirt documents them, for example `cpu.time` or `block.0.rd.bytes`. */
export type TypedParameters = Readonly<Record<string, TypedValue>>;

/** `virTypedParameterType` as its name. */
export type TypedParameterType = 'int' | 'uint' | 'llong' | 'ullong' | 'double' | 'boolean' | 'string';

/** One parameter on its way to libvirt. */
export type TypedParameterInput = readonly [name: string, type: TypedParameterType, value: TypedValue];
