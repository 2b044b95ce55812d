"use strict";
// Programs that ask the server and print what it answers: the same text directly and through the bridge.
var __addDisposableResource = (this && this.__addDisposableResource) || function (env, value, async) {
    if (value !== null && value !== void 0) {
        if (typeof value !== "object" && typeof value !== "function") throw new TypeError("Object expected.");
        var dispose, inner;
        if (async) {
            if (!Symbol.asyncDispose) throw new TypeError("Symbol.asyncDispose is not defined.");
            dispose = value[Symbol.asyncDispose];
        }
        if (dispose === void 0) {
            if (!Symbol.dispose) throw new TypeError("Symbol.dispose is not defined.");
            dispose = value[Symbol.dispose];
            if (async) inner = dispose;
        }
        if (typeof dispose !== "function") throw new TypeError("Object not disposable.");
        if (inner) dispose = function() { try { inner.call(this); } catch (e) { return Promise.reject(e); } };
        env.stack.push({ value: value, dispose: dispose, async: async });
    }
    else if (async) {
        env.stack.push({ async: true });
    }
    return value;
};
var __disposeResources = (this && this.__disposeResources) || (function (SuppressedError) {
    return function (env) {
        function fail(e) {
            env.error = env.hasError ? new SuppressedError(e, env.error, "An error was suppressed during disposal.") : e;
            env.hasError = true;
        }
        var r, s = 0;
        function next() {
            while (r = env.stack.pop()) {
                try {
                    if (!r.async && s === 1) return s = 0, env.stack.push(r), Promise.resolve().then(next);
                    if (r.dispose) {
                        var result = r.dispose.call(r.value);
                        if (r.async) return s |= 2, Promise.resolve(result).then(next, function(e) { fail(e); return next(); });
                    }
                    else s |= 1;
                }
                catch (e) {
                    fail(e);
                }
            }
            if (s === 1) return env.hasError ? Promise.reject(env.error) : Promise.resolve();
            if (env.hasError) throw env.error;
        }
        return next();
    };
})(typeof SuppressedError === "function" ? SuppressedError : function (error, suppressed, message) {
    var e = new Error(message);
    return e.name = "SuppressedError", e.error = error, e.suppressed = suppressed, e;
});
var __importDefault = (this && this.__importDefault) || function (mod) {
    return (mod && mod.__esModule) ? mod : { "default": mod };
};
Object.defineProperty(exports, "__esModule", { value: true });
const strict_1 = __importDefault(require("node:assert/strict"));
const processes_js_1 = require("../support/processes.js");
const stage_js_1 = require("./support/stage.js");
/** What each channel hides, since it can't carry what these extensions share with their clients. */
const HIDDEN = {
    loopback: ['MIT-SHM', 'DRI2', 'DRI3', 'XFree86-DGA', 'XFree86-DRI'],
    socket: ['DRI2', 'XFree86-DGA', 'XFree86-DRI'],
};
(0, stage_js_1.overEveryChannel)('programs that query', (stage) => {
    it('xdpyinfo -queryExtensions prints the same, but for the name of the display and the hidden extensions', async () => {
        const [direct, bridged] = await outputs(stage, 'xdpyinfo', ['-queryExtensions']);
        strict_1.default.match(direct, /MIT-SHM/, 'the server itself must have what is to be hidden');
        strict_1.default.deepEqual(comparable(bridged), withoutHidden(comparable(direct), HIDDEN[stage.channel]));
    });
    it('xprop -root prints what another program has set', async () => {
        for (const side of stage_js_1.SIDES) {
            const { code } = await stage.run(side, 'xprop', ['-root', '-f', 'X11BRIDGE_TEST', '8s', '-set', 'X11BRIDGE_TEST', 'déjà vu'.repeat(100)]);
            strict_1.default.equal(code, 0);
        }
        const [direct, bridged] = await outputs(stage, 'xprop', ['-root']);
        strict_1.default.match(direct, /X11BRIDGE_TEST/);
        strict_1.default.equal(bridged, direct);
    });
    it('xwininfo -root -tree prints the same tree of windows', async () => {
        const env_1 = { stack: [], error: void 0, hasError: false };
        try {
            const direct = __addDisposableResource(env_1, stage.start('direct', 'xclock', ['-geometry', '120x90+30+40']), true);
            const bridged = __addDisposableResource(env_1, stage.start('bridged', 'xclock', ['-geometry', '120x90+30+40']), true);
            await (0, processes_js_1.eventually)('both clocks are in their trees', async () => {
                const trees = await outputs(stage, 'xwininfo', ['-root', '-tree']);
                return trees.every((tree) => tree.includes('120x90+30+40'));
            });
            const [directTree, bridgedTree] = await outputs(stage, 'xwininfo', ['-root', '-tree']);
            strict_1.default.equal(bridgedTree, directTree);
            strict_1.default.deepEqual([direct.child.exitCode, bridged.child.exitCode], [null, null]);
        }
        catch (e_1) {
            env_1.error = e_1;
            env_1.hasError = true;
        }
        finally {
            const result_1 = __disposeResources(env_1);
            if (result_1)
                await result_1;
        }
    });
    it('xlsatoms lists the same atoms', async () => {
        const [direct, bridged] = await outputs(stage, 'xlsatoms', []);
        strict_1.default.ok(direct.split('\n').length > 68, 'more than the predefined atoms');
        strict_1.default.equal(bridged, direct);
    });
});
async function outputs(stage, program, args) {
    const [direct, bridged] = await Promise.all(stage_js_1.SIDES.map((side) => stage.run(side, program, args)));
    strict_1.default.ok(direct && bridged);
    strict_1.default.deepEqual([direct.code, bridged.code], [0, 0], `${direct.stderr}${bridged.stderr}`);
    return [direct.stdout, bridged.stdout];
}
/** Without the lines that rightly differ: the display's name, the focus window (an id), and how many extensions there are. */
function comparable(text) {
    return text.split('\n').filter((line) => !/^(name of display|number of extensions|focus):/.test(line));
}
function withoutHidden(lines, hidden) {
    return lines.filter((line) => !hidden.some((name) => line.trim().split(/\s+/)[0] === name));
}
//# sourceMappingURL=queries.test.js.map