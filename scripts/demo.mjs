// `npm run demo`: real programs, run through the bridge on its loopback channel.
//
// Without $DISPLAY on an X server of its own, with a picture that is compared with that of the same programs run directly; its exit
// code is 1 if one pixel differs. With $DISPLAY the windows appear there for some seconds; then nothing is compared, since a window
// manager or other windows would be in the picture.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { differingPixels, toPng } from './demo/picture.mjs';
import { SCENE, awaitStill, play } from './demo/scene.mjs';
import { Lab, buildTestkit } from './lab.mjs';
import { ROOT, runScript, setup } from './setup.mjs';

const OUTPUT = join(ROOT, 'demo-output');
const SHOWN_SECONDS = 10;

await runScript(async () => {
  await setup({ debian: ['xserver', 'xclients'] });
  const { bench } = buildTestkit();
  const lab = new Lab();
  try {
    return process.env.DISPLAY ? await onTheUsersDisplay(lab, bench) : await onItsOwnDisplay(lab, bench);
  } finally {
    await lab.close();
  }
});

/** @param {Lab} lab @param {string} bench */
async function onItsOwnDisplay(lab, bench) {
  const [host, second] = [await lab.startXvfb(), await lab.startXvfb()];
  const bridge = await lab.startBridge(host.env, ['--channel', 'loopback']);
  console.log(`X server on ${host.env.DISPLAY}, bridge on ${bridge.env.DISPLAY} (${bridge.channel} channel); the same programs run directly on a second X server, ${second.env.DISPLAY}.`);
  const programs = play(lab, bridge.env);
  play(lab, second.env);
  const [bridged, direct] = [await awaitStill(lab, host.env), await awaitStill(lab, second.env)];
  const different = differingPixels(bridged, direct);
  const path = await save('bridged.png', bridged);
  console.log(`Picture: ${path}`);
  if (different === 0) {
    console.log(`Compared with the same programs run directly: pixel-identical, all ${bridged.width} × ${bridged.height} pixels.`);
  } else {
    console.log(`Compared with the same programs run directly: ${different} pixels DIFFER; that picture: ${await save('direct.png', direct)}`);
  }
  await finish(lab, bench, host.env, bridge, programs);
  return different === 0 ? 0 : 1;
}

/** @param {Lab} lab @param {string} bench */
async function onTheUsersDisplay(lab, bench) {
  const host = { DISPLAY: process.env.DISPLAY ?? '' };
  const bridge = await lab.startBridge(host, ['--channel', 'loopback']);
  console.log(`${SCENE.map(({ program }) => program).join(', ')} appear on ${host.DISPLAY} for ${SHOWN_SECONDS} seconds, through the bridge on ${bridge.env.DISPLAY} (${bridge.channel} channel).`);
  const programs = play(lab, bridge.env);
  await sleep(SHOWN_SECONDS * 1000);
  console.log('No picture is compared, as other windows may be in it; run this with DISPLAY unset for that.');
  const alive = programs.every(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
  if (!alive) console.log('One of the programs has ended by itself; it was not meant to.');
  await finish(lab, bench, host, bridge, programs);
  return alive ? 0 : 1;
}

/**
 * Measures a round trip both ways, ends the programs, and says what went through the bridge.
 * @param {Lab} lab
 * @param {string} bench
 * @param {Record<string, string>} host
 * @param {Awaited<ReturnType<Lab['startBridge']>>} bridge
 * @param {import('node:child_process').ChildProcess[]} programs
 */
async function finish(lab, bench, host, bridge, programs) {
  for (const program of programs) program.kill();
  const [direct, bridged] = [await roundTrip(lab, bench, host), await roundTrip(lab, bench, bridge.env)];
  await bridge.stop();
  console.log(traffic(bridge.events));
  console.log(`Round trip: ${direct.toFixed(1)} µs directly, ${bridged.toFixed(1)} µs through the bridge (median).`);
}

/** @param {Lab} lab @param {string} bench @param {Record<string, string>} display */
async function roundTrip(lab, bench, display) {
  const output = await lab.output(bench, ['--measures', 'roundtrip'], display);
  return Number(JSON.parse(output.toString()).roundtrip.p50_us);
}

/**
 * The sums over the programs' connections; those of the round trips are left out.
 * @param {readonly import('./lab.mjs').BridgeEvent[]} events
 */
function traffic(events) {
  const measuring = new Set(events.filter(({ event, program }) => event === 'client-connected' && program === 'x11-bench').map(({ client }) => client));
  const closed = events.filter(({ event, client }) => event === 'client-closed' && !measuring.has(client));
  const sum = (/** @type {string} */ field) => closed.reduce((total, event) => total + Number(event[field] ?? 0), 0).toLocaleString('en');
  return `Through the bridge went ${closed.length} clients with ${sum('requests')} requests, ${sum('replies')} replies and ${sum('events')} events: ${sum('bytesToHost')} bytes to the X server, ${sum('bytesToClient')} bytes to the clients.`;
}

/** @param {string} name @param {import('./demo/picture.mjs').Picture} picture */
async function save(name, picture) {
  mkdirSync(OUTPUT, { recursive: true });
  const path = join(OUTPUT, name);
  writeFileSync(path, await toPng(picture));
  return path;
}
