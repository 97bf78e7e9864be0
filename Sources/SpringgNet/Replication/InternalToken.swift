import Glibc
import SpringgArchive
import Synchronization

/// The token with which a node asks another: signed with the secret that all share, of scope `internal`, short-lived.
final class InternalToken: Sendable {
    /// Seconds that a token is good for: more than the clocks of a cluster may differ.
    private static let lifeSeconds = 300

    private let secret: String
    private let current = Mutex<(text: String, madeAt: Int)>(("", 0))

    /// Nil when there is no secret, and so nobody asks for a token.
    init?(secret: String?) {
        guard let secret, !secret.isEmpty else { return nil }
        self.secret = secret
    }

    /// The header that carries it.
    var header: HTTPField {
        let now = time(nil)
        let text = self.current.withLock { current in
            if now < current.madeAt || now > current.madeAt + Self.lifeSeconds / 2 {
                let claims =
                    #"{"iss":"springg","user_id":"springg-node","iat":\#(now),"exp":\#(now + Self.lifeSeconds),"permissions":["internal"]}"#
                current = (JSONWebToken.sign(claims: claims, secret: secret), now)
            }
            return current.text
        }
        return HTTPField("authorization", "Bearer " + text)
    }
}
