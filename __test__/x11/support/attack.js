"use strict";
// The scripted client of crates/testkit: it does one odd thing to a display, and says what it saw.
Object.defineProperty(exports, "__esModule", { value: true });
exports.HeldAttack = void 0;
exports.attack = attack;
exports.attackBoth = attackBoth;
exports.startAttack = startAttack;
const node_child_process_1 = require("node:child_process");
const command_js_1 = require("../../support/command.js");
const processes_js_1 = require("../../support/processes.js");
let program;
/** Runs a script to its end; what it holds open it closes at once, since its standard input is empty. */
async function attack(env, ...args) {
    const { stdout, stderr } = await (0, processes_js_1.finish)(attackProgram(), args, { env, limitMs: 60_000 });
    const last = stdout.trimEnd().split('\n').at(-1) ?? '';
    if (!last.startsWith('{'))
        throw new Error(`x11-attack ${args.join(' ')} said: ${stdout}${stderr}`);
    return JSON.parse(last);
}
/** Runs a script on both sides. */
async function attackBoth(stage, ...args) {
    const [direct, bridged] = await Promise.all([attack(stage.env('direct'), ...args), attack(stage.env('bridged'), ...args)]);
    return { direct, bridged };
}
/** Starts a script that holds something open, and waits until it does. Only `release` lets it go on. */
async function startAttack(env, ...args) {
    const running = new processes_js_1.Running(attackProgram(), args, { env, stdio: ['pipe', 'pipe', 'pipe'], limitMs: 120_000 });
    const [line] = await running.untilOutput(/^\{.*\}$/m);
    return new HeldAttack(running, JSON.parse(line));
}
/** A script that holds something open. */
class HeldAttack {
    running;
    held;
    constructor(running, 
    /** What it said when it had opened everything. */
    held) {
        this.running = running;
        this.held = held;
    }
    /** Lets it go on, and returns what it says at its end. */
    async release() {
        this.running.child.stdin?.end();
        return this.ended();
    }
    /** Waits for its end without letting it go on. */
    async ended() {
        const { stdout } = await this.running.finished();
        return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
    }
    [Symbol.asyncDispose]() {
        return this.running[Symbol.asyncDispose]();
    }
}
exports.HeldAttack = HeldAttack;
/** Built when the first test asks for it; cargo finds out itself whether that is needed. */
function attackProgram() {
    program ??= build();
    return program;
}
function build() {
    const args = ['build', '--release', '--package', 'x11bridge-testkit', '--bin', 'x11-attack', '--message-format=json-render-diagnostics'];
    const { status, stdout } = (0, node_child_process_1.spawnSync)('cargo', args, { cwd: command_js_1.ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 26 });
    const artifact = stdout.split('\n').find((line) => line.includes('"name":"x11-attack"') && line.includes('"executable":"'));
    if (status !== 0 || artifact === undefined)
        throw new Error('cargo could not build x11-attack; what it says is above');
    return JSON.parse(artifact).executable;
}
//# sourceMappingURL=attack.js.map