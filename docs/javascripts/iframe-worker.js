// Search works in a worker, and browsers start none from a file: there a hidden frame does its work.
// (The theme would fetch a script of this name and use from the network.)
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.appendChild(frame)
      this.inside = frame.contentWindow
      this.inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      const script = this.inside.document.createElement("script")
      this.loaded = new Promise(done => { script.onload = done })
      script.src = url
      this.inside.document.body.appendChild(script)
    }

    postMessage(data) {
      const message = new MessageEvent("message", { data })
      this.loaded.then(() => this.inside.dispatchEvent(message))
    }

    terminate() {
      this.inside.frameElement.remove()
    }
  }
}
