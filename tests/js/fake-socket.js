/** A WebSocket whose other end is the test. */
export function fakeTransports() {
  const opened = []
  class Transport {
    sent = []
    constructor(url, protocols) {
      Object.assign(this, { url, protocols, closedWith: null })
      opened.push(this)
    }
    send(frame) { this.sent.push(JSON.parse(frame)) }
    close(code) { this.closedWith = code }
    says(...events) { this.onmessage({ data: JSON.stringify(events.length === 1 ? events[0] : events) }) }
    greets(more = {}) {
      this.onopen()
      this.says({
        type: "hello", protocol: 1, user: { id: "1", name: "ana" }, server: "s", heartbeat_s: 20, flow: null, rooms: [], rooms_version: 1,
        limits: { frame_bytes: 65536, body_chars: 10000, sync_rooms: 500, history: 100, catch_up: 1000, unanswered: 2 }, ...more,
      })
    }
  }
  return { Transport, opened }
}
