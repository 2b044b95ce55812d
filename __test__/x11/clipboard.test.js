"use strict";
// The clipboard, with more than one property can hold: both programs then speak INCR with each other through the server.
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
const node_crypto_1 = require("node:crypto");
const node_fs_1 = require("node:fs");
const processes_js_1 = require("../support/processes.js");
const stage_js_1 = require("./support/stage.js");
const MEBIBYTES = 16;
(0, stage_js_1.overEveryChannel)('the clipboard', (stage) => {
    const pairs = [['bridged', 'host'], ['host', 'bridged'], ['bridged', 'bridged']];
    for (const [owner, reader] of pairs) {
        it(`carries ${MEBIBYTES} MiB from a ${owner} xclip to a ${reader} one`, async function () {
            this.timeout(60_000);
            await assertCarried(stage, owner, reader);
        });
    }
});
async function assertCarried(stage, owner, reader) {
    const env_1 = { stack: [], error: void 0, hasError: false };
    try {
        const [source, target] = [stage.folder.file('source'), stage.folder.file('target')];
        (0, node_fs_1.writeFileSync)(source, (0, node_crypto_1.randomBytes)(MEBIBYTES << 19).toString('hex'));
        // -quiet keeps it in the foreground, -loops 1 ends it when the text has been fetched.
        const args = ['-quiet', '-verbose', '-selection', 'clipboard', '-loops', '1', '-in', source];
        const copying = __addDisposableResource(env_1, new processes_js_1.Running('xclip', args, { env: placeEnv(stage, owner), limitMs: 60_000 }), true);
        await copying.untilOutput(/Waiting for/, 'stderr');
        const output = (0, node_fs_1.openSync)(target, 'w');
        const pasted = await (0, processes_js_1.finish)('xclip', ['-selection', 'clipboard', '-out'], { env: placeEnv(stage, reader), stdio: ['ignore', output, 'pipe'], limitMs: 60_000 });
        (0, node_fs_1.closeSync)(output);
        strict_1.default.equal(pasted.code, 0, pasted.stderr);
        strict_1.default.equal(digest(target), digest(source));
        strict_1.default.equal((await copying.finished()).code, 0);
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
}
function placeEnv(stage, place) {
    return place === 'bridged' ? stage.env('bridged') : (0, stage_js_1.clientEnv)(stage.host.display, stage.host.xauthority, stage.folder.path);
}
function digest(path) {
    return (0, node_crypto_1.createHash)('sha256').update((0, node_fs_1.readFileSync)(path)).digest('hex');
}
//# sourceMappingURL=clipboard.test.js.map