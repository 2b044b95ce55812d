"use strict";
// What a process holds, from /proc.
Object.defineProperty(exports, "__esModule", { value: true });
exports.footprint = footprint;
exports.untilFlat = untilFlat;
const node_fs_1 = require("node:fs");
const processes_js_1 = require("../../support/processes.js");
function footprint(pid) {
    const status = (0, node_fs_1.readFileSync)(`/proc/${pid}/status`, 'utf8');
    return {
        fds: (0, node_fs_1.readdirSync)(`/proc/${pid}/fd`).length,
        threads: (0, node_fs_1.readdirSync)(`/proc/${pid}/task`).length,
        memoryKib: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]),
    };
}
/** Waits until the process holds no more descriptors and threads than before: closing a client takes a moment. */
async function untilFlat(pid, before) {
    let now = footprint(pid);
    const flat = (0, processes_js_1.eventually)('descriptors and threads are as many as before', () => {
        now = footprint(pid);
        return now.fds <= before.fds && now.threads <= before.threads;
    });
    await flat.catch((error) => {
        throw new Error(`${error.message}: ${JSON.stringify(before)}, then ${JSON.stringify(now)}`);
    });
    return now;
}
//# sourceMappingURL=footprint.js.map