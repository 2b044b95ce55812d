"use strict";
// Screens, compared pixel by pixel: what programs drew directly, and what the same programs drew through the bridge.
var __importDefault = (this && this.__importDefault) || function (mod) {
    return (mod && mod.__esModule) ? mod : { "default": mod };
};
Object.defineProperty(exports, "__esModule", { value: true });
exports.assertSamePicture = assertSamePicture;
const strict_1 = __importDefault(require("node:assert/strict"));
const processes_js_1 = require("../../support/processes.js");
const attack_js_1 = require("./attack.js");
const stage_js_1 = require("./stage.js");
/** Runs the program on both sides until both screens are finished, and asserts that they are pixel-identical. */
async function assertSamePicture(stage, sitter) {
    const running = stage_js_1.SIDES.map((side) => sit(stage, side, sitter));
    try {
        let pictures = [];
        const same = (0, processes_js_1.eventually)(`${sitter.program} has drawn the same on both sides`, async () => {
            assertRunning(running);
            pictures = await Promise.all(stage_js_1.SIDES.map((side) => still(stage.server(side), sitter.edges)));
            const [direct, bridged] = pictures;
            return direct !== undefined && direct.digest === bridged?.digest;
        });
        await same.catch((error) => strict_1.default.fail(`${error.message}: ${JSON.stringify(pictures)}`));
    }
    finally {
        await Promise.all(running.map((program) => program[Symbol.asyncDispose]()));
    }
    // The next test begins with empty screens.
    await (0, processes_js_1.eventually)('the screens are empty again', async () => {
        const pictures = await Promise.all(stage_js_1.SIDES.map((side) => picture(stage.server(side))));
        return pictures.every(({ edges }) => edges === 0);
    });
}
function sit(stage, side, { program, args = [], env = {}, input }) {
    const running = stage.start(side, program, args, env);
    if (input !== undefined)
        running.child.stdin?.write(input);
    return running;
}
function assertRunning(programs) {
    for (const { child, stderr } of programs) {
        strict_1.default.equal(child.exitCode ?? child.signalCode, null, `the program has ended: ${stderr}`);
    }
}
/** The picture, if it shows enough and does not change between two looks. */
async function still(server, edges) {
    const first = await picture(server);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const second = await picture(server);
    return first.digest === second.digest && second.edges >= edges ? second : undefined;
}
async function picture(server) {
    return (await (0, attack_js_1.attack)(server.env, 'picture'));
}
//# sourceMappingURL=pictures.js.map