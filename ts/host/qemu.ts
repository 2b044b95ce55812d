// QEMU's side of the devices.

/** A device, as QEMU has to know it. Its other end is our socket. */
interface VhostUserDevice {
  /** QEMU's name for it. */
  readonly id: string;
  /** Its number among VIRTIO's devices. */
  readonly virtioId: number;
  /** Entries of each of its two queues. */
  readonly queueSize: number;
  /** Bytes of its configuration. */
  readonly configBytes: number;
}

/** Each program of the guest that waits for its X server takes an entry. QEMU has no larger queues. */
const GPU: VhostUserDevice = { id: 'x11bridge', virtioId: 16, queueSize: 1024, configBytes: 16 };
/** The guest's /dev/shm. Linux takes at most 124 pages in a request with queues of this size. */
const DEV_SHM: VhostUserDevice = { id: 'x11bridge-shm', virtioId: 26, queueSize: 128, configBytes: 40 };

/**
 * The arguments that give a guest the devices whose host half listens on these sockets; for QEMU 11.1 or newer.
 * @param devShm the socket of the guest's /dev/shm, if it is to share one
 */
export function qemuArguments(socket: string, devShm?: string): readonly string[] {
  return [...device(GPU, socket), ...(devShm === undefined ? [] : device(DEV_SHM, devShm))];
}

function device({ id, virtioId, queueSize, configBytes }: VhostUserDevice, socket: string): string[] {
  // QEMU takes a comma for the end of a value, and two for one.
  const path = socket.replaceAll(',', ',,');
  return [
    '-chardev',
    `socket,id=${id},path=${path}`,
    '-device',
    `vhost-user-test-device-pci,chardev=${id},virtio-id=${virtioId},num_vqs=2,vq_size=${queueSize},config_size=${configBytes}`,
  ];
}
