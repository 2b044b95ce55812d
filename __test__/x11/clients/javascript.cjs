// A client of the pure JavaScript library x11 from npm: atoms, properties, a window's events, drawing, a long image.
'use strict';

const x11 = require('x11');

const SIDE = 200;

x11.createClient((error, display) => {
  if (error) fail(error);
  main(display).then((sight) => {
    console.log(JSON.stringify(sight));
    process.exit(0);
  }, fail);
});

async function main({ client: X, screen }) {
  X.on('error', fail);
  const { root, root_depth: depth, white_pixel: white } = screen[0];
  const ask = (name, ...args) => new Promise((resolve, reject) => X[name](...args, (error, reply) => (error ? reject(error) : resolve(reply))));
  const atom = await ask('InternAtom', false, 'X11BRIDGE_JAVASCRIPT');
  const window = X.AllocID();
  X.CreateWindow(window, root, 10, 20, SIDE, SIDE, 0, 0, 0, 0, { backgroundPixel: white, eventMask: x11.eventMask.StructureNotify | x11.eventMask.PropertyChange });
  const events = collect(X, 3);
  const text = 'x11bridge '.repeat(5000);
  X.ChangeProperty(0, window, atom, X.atoms.STRING, 8, text);
  X.MapWindow(window);
  X.MoveWindow(window, 30, 40);
  const property = await ask('GetProperty', 0, window, atom, X.atoms.STRING, 0, 1_000_000);
  const [pixmap, gc] = [X.AllocID(), X.AllocID()];
  X.CreatePixmap(pixmap, window, depth, SIDE, SIDE);
  X.CreateGC(gc, pixmap, { foreground: 0x00123456 });
  const pixels = Buffer.alloc(SIDE * SIDE * 4, Buffer.from([1, 2, 3, 0]));
  X.PutImage(2, pixmap, gc, SIDE, SIDE, 0, 0, 0, depth, pixels);
  const image = await ask('GetImage', 2, pixmap, 0, 0, SIDE, SIDE, 0xffffffff);
  const geometry = await ask('GetGeometry', window);
  return {
    atomName: await ask('GetAtomName', atom),
    property: property.data.toString() === text,
    image: image.data.equals(pixels),
    geometry: [geometry.xPos, geometry.yPos, geometry.width, geometry.height, geometry.depth],
    events: await events,
  };
}

/** The names of the first events. */
function collect(X, count) {
  const names = [];
  return new Promise((resolve) => {
    X.on('event', ({ name }) => {
      names.push(name);
      if (names.length === count) resolve(names);
    });
  });
}

function fail(error) {
  console.error(error);
  process.exit(1);
}
