import { createServer, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

const PATH = '/$servicebus/websocket';
/** RFC-less but fixed: the subprotocol of "AMQP over WebSockets" (OASIS AMQP WebSocket Binding 1.0). */
const PROTOCOL = 'AMQPWSB10';

/** Hands on the stream of AMQP bytes that a client carries over a WebSocket. */
export type OnWebSocket = (stream: Duplex, socket: Socket) => void;

/** HTTP for WebSocket upgrades. @returns takes a connection whose first byte is not AMQP's */
export function webSocketFront(onWebSocket: OnWebSocket): (socket: Socket) => void {
  const http = createServer((_request, response) => {
    response.writeHead(426, { upgrade: 'websocket', 'content-type': 'text/plain' });
    response.end(`Event Hubs: AMQP 1.0, or AMQP over WebSockets at ${PATH}\n`);
  });
  http.on('upgrade', (request, stream, head) => {
    const socket = stream as Socket;
    if (request.url?.split('?')[0] !== PATH) {
      socket.end('HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
      return;
    }
    upgrade(request, socket, head, onWebSocket).catch(() => socket.destroy());
  });
  return (socket) => http.emit('connection', socket);
}

async function upgrade(
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
  onWebSocket: OnWebSocket,
): Promise<void> {
  const { createWebSocketStream, WebSocketServer } = await import('ws');
  const server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    handleProtocols: (offered) => offered.has(PROTOCOL) && PROTOCOL,
  });
  server.handleUpgrade(request, socket, head, (webSocket) => {
    onWebSocket(createWebSocketStream(webSocket), socket);
  });
}
