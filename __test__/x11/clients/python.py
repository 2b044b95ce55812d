"""A client of python-xlib: atoms, a long property, a window's events, drawing, an image, an error as an answer."""

import json

from Xlib import X, Xatom, display, error

SIDE = 100
TEXT = b"x11bridge " * 5000

connection = display.Display()
screen = connection.screen()
atom = connection.intern_atom("X11BRIDGE_PYTHON")
window = screen.root.create_window(
    10, 20, SIDE, SIDE, 0, screen.root_depth,
    background_pixel=screen.white_pixel, event_mask=X.StructureNotifyMask | X.PropertyChangeMask,
)
window.change_property(atom, Xatom.STRING, 8, TEXT)
window.map()
window.configure(x=30, y=40)
events = [type(connection.next_event()).__name__ for _ in range(3)]

pixmap = window.create_pixmap(SIDE, SIDE, screen.root_depth)
gc = pixmap.create_gc(foreground=0x123456)
pixmap.fill_rectangle(gc, 0, 0, SIDE, SIDE)
gc.change(foreground=0x654321)
pixmap.poly_line(gc, X.CoordModeOrigin, [(0, 0), (SIDE - 1, SIDE - 1)])
image = pixmap.get_image(0, 0, SIDE, SIDE, X.ZPixmap, 0xFFFFFFFF)

try:
    connection.create_resource_object("window", 0x1FFFFFFF).get_geometry()
    answer = "no error"
except error.BadDrawable as bad:
    answer = f"BadDrawable {bad.resource_id.id if hasattr(bad.resource_id, 'id') else bad.resource_id:#x}"

geometry = window.get_geometry()
print(json.dumps({
    "atom": connection.get_atom_name(atom),
    "property": window.get_full_property(atom, Xatom.STRING).value == TEXT,
    "events": events,
    "image": image.data.hex() if isinstance(image.data, bytes) else image.data,
    "geometry": [geometry.x, geometry.y, geometry.width, geometry.height, geometry.depth],
    "error": answer,
    "vendor": connection.display.info.vendor,
}))
connection.close()
