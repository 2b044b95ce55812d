// The ES module: one implementation, the CommonJS one, so that both kinds of importers share its state.

export { startBridge, startHost } from './index.js';
export type {
  BlamedSide,
  Bridge,
  BridgeError,
  BridgeErrorKind,
  BridgeEvents,
  BridgeOptions,
  BridgeStats,
  ChannelName,
  ClientClosed,
  ClientConnected,
  ClientStatus,
  ContextClosed,
  ContextOpened,
  GuestConnected,
  GuestDisconnected,
  Host,
  HostEvents,
  HostOptions,
  LiveOptions,
  LogLevel,
  LogLine,
  OldestRequest,
  Totals,
  Traffic,
} from './index.js';
