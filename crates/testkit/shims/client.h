/* Lets a program take a file of the test's X server for a DRM device: see client.c. */
#ifndef X11BRIDGE_SHIM_CLIENT_H
#define X11BRIDGE_SHIM_CLIENT_H

#include <stdbool.h>

#define EXPORTED __attribute__((visibility("default")))

/* Whether the descriptor is of the file that plays the device. */
bool is_node(int fd);

#endif
