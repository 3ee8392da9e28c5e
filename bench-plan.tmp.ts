import { plan } from './controller/reconciler/plan.ts';
import { Simulation } from './test/simulation/support/simulation.ts';
import { shapesOf } from './test/simulation/support/explore.ts';
import { growthOf, model } from './test/simulation/support/faults.ts';
import { play, scriptOf } from './test/simulation/support/script.ts';
const worlds: [any, number, any][] = [];
let n = 0;
const simulation = await Simulation.start({ seed: 17, failureRate: 0.05, fence: true, hosts: shapesOf(17, 100, 1024),
  plan: (w, now, s) => {
    n++;
    const p = plan(w, now, s);
    if (n % 97 === 0 && n > 800) {
      const c: any = { ...w };
      for (const k of Object.keys(c)) if (c[k] instanceof Map) c[k] = new Map(c[k]);
      worlds.push([c, now, s]);
    }
    return p;
  } });
const g = growthOf(100);
await simulation.operations.apply('shop', model(3 * g, 1, 2 * g), {});
await play(simulation, scriptOf(17, 300));
simulation.killController();
console.log('passes', n, 'worlds', worlds.length);
let writes = 0;
for (const [w, now, s] of worlds) { const p = plan(w, now, s); if (p.puts.length + p.deletes.length) writes++; }
console.log('with writes', writes);
for (let r = 0; r < 4; r++) {
  const c0 = process.cpuUsage();
  let k = 0;
  for (let i = 0; i < 30; i++) for (const [w, now, s] of worlds) { plan(w, now, s); k++; }
  const c = process.cpuUsage(c0);
  console.log('us per plan', ((c.user + c.system) / k).toFixed(1));
}
process.exit(0);
