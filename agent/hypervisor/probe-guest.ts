/**
 * A boot sector that tells whether an accelerator runs an ordinary guest: it enters 64-bit mode, counts 100,000,000 steps
 * without leaving the guest, takes 20 timer interrupts at 1 kHz, and then writes 0x2a to the isa-debug-exit port 0xf4, so that QEMU ends
 * with (0x2a << 1) | 1 = 85. Under TCG that takes half a second; with working hardware far less. An accelerator that
 * opens, and runs firmware, but traps on every step never finishes.
 *
 * 16 bit: cli; segments and stack; page tables at 0x1000 (one 2 MiB page); CR3, CR4.PAE, EFER.LME; lgdt; CR0.PG|PE; far jump.
 * 64 bit: PIC to vector 0x20, timer only; PIT channel 0 at 1 kHz; one IDT entry; loop; sti; hlt until 20 ticks; out 0xf4.
 */
const CODE = [
  'fa31c08ed88ec08ed0bc007cfcbf0010b90018f3abc70600100320c70600200330c7060030830066',
  'b8001000000f22d80f20e06683c8200f22e066b9800000c00f32660d000100000f300f0116187d0f',
  '20c0660d010000800f22c0ea607c080066b810008ed88ed0b011e620b020e621b004e621b001e621',
  'b0fee621b0ffe6a1b034e643b0a9e640b004e640b8f17c0000668904250042000066c70425024200',
  '00080066c7042504420000008e66c70425064200000000c704250842000000000000c704250c4200',
  '00000000000f011c251e7d0000b900e1f505ffc975fc31dbfbf483fb1472fab02a66baf400eef4eb',
  'fdffc3b020e62048cf0f1f8000000000000000000000000000000000009a20000000000000920000',
  '1700007d00000f020040000000000000',
].join('');

export const PROBE_EXIT_CODE = 85;

/** 512 bytes, ending in the boot signature. */
export function probeBootSector(): Buffer {
  const sector = Buffer.alloc(512);
  sector.write(CODE, 'hex');
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}
