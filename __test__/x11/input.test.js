"use strict";
// Input: keys that one client makes reach the program of another.
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
const node_fs_1 = require("node:fs");
const processes_js_1 = require("../support/processes.js");
const stage_js_1 = require("./support/stage.js");
const TYPED = 'The Quick (brown) fox; 0123456789 {jumps} over: "it" & ~ /more/';
(0, stage_js_1.overEveryChannel)('input', (stage) => {
    for (const side of stage_js_1.SIDES) {
        it(`what a ${side} xdotool types arrives in a ${side} xterm`, async function () {
            const env_1 = { stack: [], error: void 0, hasError: false };
            try {
                this.timeout(40_000);
                const [ready, written] = [stage.folder.file(`ready-${side}`), stage.folder.file(`written-${side}`)];
                const xterm = __addDisposableResource(env_1, stage.start(side, 'xterm', ['-geometry', '80x24+20+20', '-e', 'sh', '-c', `: > ${ready}; cat > ${written}.part; mv ${written}.part ${written}`]), true);
                await (0, processes_js_1.eventually)('the shell in xterm runs', () => (0, node_fs_1.existsSync)(ready));
                // No window manager gives focus: the keys go where the pointer is.
                const place = ['search', '--sync', '--onlyvisible', '--class', 'xterm', 'mousemove', '--window', '%1', '100', '100'];
                const typed = await stage.run(side, 'xdotool', [...place, 'type', '--delay', '4', `${TYPED}\n`]);
                strict_1.default.equal(typed.code, 0, typed.stderr);
                strict_1.default.equal((await stage.run(side, 'xdotool', ['key', 'ctrl+d'])).code, 0);
                await (0, processes_js_1.eventually)('the shell in xterm has written its file', () => (0, node_fs_1.existsSync)(written));
                strict_1.default.equal((0, node_fs_1.readFileSync)(written, 'utf8'), `${TYPED}\n`);
                strict_1.default.equal((await xterm.finished()).code, 0);
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
    }
});
//# sourceMappingURL=input.test.js.map