"use strict";
// The stage on which a list of tests runs: two identical X servers, one reached directly, the other through a bridge.
Object.defineProperty(exports, "__esModule", { value: true });
exports.Stage = exports.SIDES = exports.CHANNELS = void 0;
exports.overEveryChannel = overEveryChannel;
exports.serve = serve;
exports.stopBridge = stopBridge;
exports.clientEnv = clientEnv;
const mocha_1 = require("mocha");
const command_js_1 = require("../../support/command.js");
const processes_js_1 = require("../../support/processes.js");
const temporary_js_1 = require("../../support/temporary.js");
const xvfb_js_1 = require("../../support/xvfb.js");
exports.CHANNELS = ['loopback', 'socket'];
exports.SIDES = ['direct', 'bridged'];
class Stage {
    channel;
    folder = new temporary_js_1.TemporaryFolder();
    #parts;
    constructor(channel) {
        this.channel = channel;
    }
    /** The server that is reached directly. */
    get direct() {
        return this.#open().direct;
    }
    /** The server behind the bridge. */
    get host() {
        return this.#open().host;
    }
    get bridge() {
        return this.#open().bridge;
    }
    async open() {
        const [direct, host] = await Promise.all([(0, xvfb_js_1.startXvfb)({ auth: true }), (0, xvfb_js_1.startXvfb)({ auth: true })]);
        this.#parts = { direct, host, bridge: await serve(host, ['--channel', this.channel]) };
    }
    async close() {
        if (this.#parts === undefined)
            return;
        await stopBridge(this.#parts.bridge);
        await Promise.all([this.#parts.direct.stop(), this.#parts.host.stop()]);
        this.folder[Symbol.dispose]();
    }
    /** The server whose screen shows what clients of that side draw. */
    server(side) {
        return side === 'direct' ? this.direct : this.host;
    }
    /** A client's environment; but for the display it is the same on both sides. */
    env(side) {
        const { display, xauthority } = side === 'direct' ? this.direct : this.bridge;
        return clientEnv(display, xauthority, this.folder.path);
    }
    /** Runs a program to its end on one side. */
    run(side, program, args = []) {
        return (0, processes_js_1.finish)(program, args, { env: this.env(side), cwd: this.folder.path, limitMs: 60_000 });
    }
    /** Starts a program on one side. */
    start(side, program, args = [], env = {}) {
        const stdio = ['pipe', 'pipe', 'pipe'];
        return new processes_js_1.Running(program, args, { env: { ...this.env(side), ...env }, cwd: this.folder.path, stdio, limitMs: 100_000 });
    }
    #open() {
        if (this.#parts === undefined)
            throw new Error('the stage is open only while its tests run');
        return this.#parts;
    }
}
exports.Stage = Stage;
/** Declares the same tests for every channel; each list has a stage of its own. */
function overEveryChannel(title, tests) {
    for (const channel of exports.CHANNELS) {
        describe(`${title} over ${channel}`, () => {
            const stage = new Stage(channel);
            (0, mocha_1.before)(() => stage.open());
            (0, mocha_1.after)(() => stage.close());
            tests(stage);
        });
    }
}
/** Starts a bridge in front of a server. */
async function serve(host, args) {
    const { command, ready } = await (0, command_js_1.startServe)(args, { env: host.env, limitMs: 280_000 });
    return { display: ready.display, xauthority: ready.xauthority, pid: command.pid, command };
}
/** Ends a bridge as a user does, and waits for it. */
async function stopBridge({ command }) {
    command.child.kill('SIGTERM');
    await command.finished();
}
/** Nothing of the user's own settings, no session bus, no accessibility bus: what a client draws depends on the server alone. */
function clientEnv(display, xauthority, home) {
    const { PATH } = process.env;
    const own = { HOME: home, XDG_RUNTIME_DIR: home, LANG: 'C.UTF-8', TZ: 'UTC', NO_AT_BRIDGE: '1', GDK_BACKEND: 'x11', QT_QPA_PLATFORM: 'xcb' };
    return { ...own, ...(PATH !== undefined && { PATH }), DISPLAY: display, ...(xauthority !== undefined && { XAUTHORITY: xauthority }) };
}
//# sourceMappingURL=stage.js.map