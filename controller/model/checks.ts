import { type AddProblem, checkNetwork } from './network-checks.ts';
import { type ModelProblem, pathText, type SourceMap } from './parse.ts';
import type { ApplicationDocument } from './schema.ts';
import type { SizeTable } from './sizes.ts';
import { nearest } from './suggest.ts';
import { parseDurationMs } from './units.ts';

/** Everything that takes more than one place of the document to judge. */
export function checkDocument(
  document: ApplicationDocument,
  map: SourceMap,
  sizes: SizeTable,
): readonly ModelProblem[] {
  const problems: ModelProblem[] = [];
  const add: AddProblem = (path, of, message, fix = null) =>
    problems.push({ ...map.locate(path, of), path: pathText(path), message, fix });

  const roles = Object.entries(document.roles ?? {});
  const machines = Object.entries(document.machines ?? {});
  if (roles.length + machines.length === 0)
    add(
      [],
      'value',
      'the application has neither roles nor machines',
      'Declare at least one role or machine.',
    );

  const checkSize = (path: readonly PropertyKey[], size: unknown) => {
    if (typeof size !== 'string' || Object.hasOwn(sizes, size)) return;
    const names = Object.keys(sizes);
    const meant = nearest(size, names);
    add(
      path,
      'value',
      `unknown size ${JSON.stringify(size)}`,
      meant === null ? `Known sizes: ${names.join(', ')}.` : `Did you mean ${meant}?`,
    );
  };

  for (const [name, role] of roles) {
    const at = (...rest: PropertyKey[]) => ['roles', name, ...rest];
    if (name === 'machines') add(at(), 'key', 'no role may be called machines', 'Choose another name.');
    checkSize(at('size'), role.size);
    if (role.site && role.kind !== 'web')
      add(at('site'), 'key', `a ${role.kind} role has no web server`, 'Make it kind: web, or remove site.');
    if (role.site && Object.keys(role.endpoints ?? {}).length === 0)
      add(
        at('site'),
        'key',
        'a site needs an endpoint to listen on',
        'Declare an endpoint with a targetPort.',
      );
    for (const [index, task] of (role.startup ?? []).entries()) {
      if (task.timeout !== undefined && (parseDurationMs(task.timeout) ?? 0) < 1)
        add(at('startup', index, 'timeout'), 'value', 'must be longer than nothing');
    }
  }
  for (const [name, machine] of machines) {
    checkSize(['machines', name, 'size'], machine.size);
    if (machine.backup && (parseDurationMs(machine.backup.every) ?? 0) < 60_000)
      add(['machines', name, 'backup', 'every'], 'value', 'must be at least 1m');
    if (Object.hasOwn(document.roles ?? {}, name))
      add(
        ['machines', name],
        'key',
        `${name} is also the name of a role: their endpoints would have the same names`,
        'Choose another name.',
      );
    const role = roles.find(([roleName]) => new RegExp(`^${roleName}-\\d+$`).test(name))?.[0];
    if (role !== undefined)
      add(
        ['machines', name],
        'key',
        `${name} is also the name of an instance of role ${role}`,
        'Choose another name.',
      );
  }
  checkNetwork(document, add);
  return problems;
}
