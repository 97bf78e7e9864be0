import SpringgArchive
import SpringgCluster
import SpringgConfiguration
import SpringgNet

/// Where a command finds a node's API.
struct NodeURL {
    let isSecure: Bool
    let host: String
    var port: Int

    /// The node that runs by these settings, on this machine.
    init(_ settings: Configuration) {
        let bind = settings[Keys.bindAddress]
        isSecure = !settings[Keys.tlsCertificate].isEmpty
        host = ["0.0.0.0", "::", ""].contains(bind) ? "127.0.0.1" : bind
        port = settings[Keys.port]
    }

    /// `HOST`, `HOST:PORT`, or either after `https://` or `http://`; nil for anything else.
    ///
    /// What it does not say is as it is for the node of the settings.
    init?(_ text: String, _ settings: Configuration) {
        let own = NodeURL(settings)
        var rest = text[...]
        var isSecure = own.isSecure
        for (scheme, means) in [("https://", true), ("http://", false)] where rest.lowercased().hasPrefix(scheme) {
            rest = rest.dropFirst(scheme.utf8.count)
            isSecure = means
        }
        if rest.hasSuffix("/") { rest.removeLast() }
        guard let seed = NamedSeed(String(rest), defaultPort: own.port) else { return nil }
        (self.isSecure, host, port) = (isSecure, seed.host, Int(seed.port))
    }

    var endpoint: HTTPEndpoint {
        HTTPEndpoint(isSecure: isSecure, host: host.contains(":") ? "[\(host)]" : host, port: port)
    }
}
