// The ES module: one implementation, the CommonJS one, so that both kinds of importers share its state.

export { startBridge } from './index.js';
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
  LiveOptions,
  LogLevel,
  LogLine,
  Totals,
} from './index.js';
