// QEMU's side of the device.

/** virtio-gpu's number among VIRTIO's devices. */
const VIRTIO_ID = 16;
/** The control queue and that of the cursor. */
const QUEUES = 2;
/** Each program of the guest that waits for its X server takes an entry. QEMU has no larger queues. */
const QUEUE_SIZE = 1024;
/** Bytes of a virtio-gpu device's configuration. */
const CONFIG_BYTES = 16;

/** The arguments that give a guest the device whose host half listens on a socket; for QEMU 11.1 or newer. */
export function qemuArguments(socket: string): readonly string[] {
  // QEMU takes a comma for the end of a value, and two for one.
  const path = socket.replaceAll(',', ',,');
  return [
    '-chardev',
    `socket,id=x11bridge,path=${path}`,
    '-device',
    `vhost-user-test-device-pci,chardev=x11bridge,virtio-id=${VIRTIO_ID},num_vqs=${QUEUES},vq_size=${QUEUE_SIZE},config_size=${CONFIG_BYTES}`,
  ];
}
