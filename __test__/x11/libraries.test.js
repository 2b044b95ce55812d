"use strict";
// Clients of three client libraries do the same work, and print what they saw; Xlib and xcb are in all other programs here.
var __importDefault = (this && this.__importDefault) || function (mod) {
    return (mod && mod.__esModule) ? mod : { "default": mod };
};
Object.defineProperty(exports, "__esModule", { value: true });
const strict_1 = __importDefault(require("node:assert/strict"));
const node_path_1 = require("node:path");
const command_js_1 = require("../support/command.js");
const stage_js_1 = require("./support/stage.js");
const CLIENTS = (0, node_path_1.join)(command_js_1.ROOT, '__test__/x11/clients');
/** Drawing, copying, images and text: each is named as x11perf names it. */
const PERF_TESTS = ['-dot', '-rect100', '-seg10', '-ftext', '-putimage100', '-getimage100', '-copywinwin100', '-scroll100', '-prop', '-gc', '-atom', '-create', '-map', '-pointer'];
(0, stage_js_1.overEveryChannel)('client libraries', (stage) => {
    it('the pure JavaScript library x11 sees the same', async () => {
        await assertSameSight(process.execPath, [(0, node_path_1.join)(CLIENTS, 'javascript.cjs')]);
    });
    it('python-xlib sees the same', async () => {
        await assertSameSight('/usr/bin/python3', [(0, node_path_1.join)(CLIENTS, 'python.py')]);
    });
    it('Xlib carries out a subset of x11perf', async function () {
        this.timeout(90_000);
        const { code, stdout, stderr } = await stage.run('bridged', 'x11perf', ['-repeat', '1', '-time', '1', '-reps', '200', ...PERF_TESTS]);
        strict_1.default.equal(code, 0, stderr);
        strict_1.default.equal(stdout.match(/^\s+200 reps/gm)?.length, PERF_TESTS.length, stdout);
    });
    async function assertSameSight(program, args) {
        const [direct, bridged] = await Promise.all([stage.run('direct', program, args), stage.run('bridged', program, args)]);
        strict_1.default.deepEqual([direct.code, bridged.code], [0, 0], `${direct.stderr}${bridged.stderr}`);
        strict_1.default.deepEqual(JSON.parse(bridged.stdout), JSON.parse(direct.stdout));
    }
});
//# sourceMappingURL=libraries.test.js.map