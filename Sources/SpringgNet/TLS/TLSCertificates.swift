import Dispatch
import Glibc
public import Logging
import SpringgLog
import Synchronization

/// The server's certificate, taken anew from its files when they change.
///
/// Whoever renews it only has to replace the files, in any order: until both fit, the old one stays in use. Connections that
/// are open keep what they began with.
public final class TLSCertificates: Sendable {
    /// Seconds between two looks at the files.
    public static let lookSeconds = 2.0
    /// Seconds before its end from which on a certificate is warned of, once a day.
    private static let warningSeconds = 14 * 86_400
    private static let daySeconds = 86_400

    private struct State {
        var identity: TLSIdentity
        /// What the files were when they were last read, whether or not they could be used.
        var seen: [FileMark?]
        var warned = 0
    }

    private let certificate: String
    private let key: String
    private let logger: Logger
    private let state: Mutex<State>
    private let queue = DispatchQueue(label: "springg.certificates")

    /// Reads both files.
    ///
    /// - Parameters:
    ///   - certificate: Path of the certificates in PEM, the node's own first.
    ///   - key: Path of the private key in PEM.
    ///   - logger: Told of renewals, of files that cannot be used, and of an end that comes near.
    /// - Throws: `TLSError`.
    public init(certificate: String, key: String, logger: Logger) throws(TLSError) {
        (self.certificate, self.key, self.logger) = (certificate, key, logger)
        // Before they are read: a change that comes meanwhile is seen the next time.
        let seen = [FileMark(certificate), FileMark(key)]
        let identity = try TLSIdentity(certificate: certificate, key: key, now: time(nil))
        state = Mutex(State(identity: identity, seen: seen))
    }

    /// What new connections get.
    var identity: TLSIdentity { state.withLock { $0.identity } }

    /// Seconds since 1970 at which the certificate ends.
    public var expires: Int { identity.expires }

    /// Begins to look for changes, for as long as this is referred to.
    public func watch() {
        look()
        queue.asyncAfter(deadline: .now() + Self.lookSeconds) { [weak self] in self?.watch() }
    }

    /// Reads the files again if they have changed.
    package func look() {
        let now = [FileMark(certificate), FileMark(key)]
        if state.withLock({ $0.seen != now }) {
            renew(now)
        }
        warn(time(nil))
    }

    private func renew(_ seen: [FileMark?]) {
        do throws(TLSError) {
            let identity = try TLSIdentity(certificate: certificate, key: key, now: time(nil))
            state.withLock { $0 = State(identity: identity, seen: seen) }
            logger.info("Certificate renewed", metadata: ["expires": "\(Self.text(identity.expires))"])
        } catch {
            state.withLock { $0.seen = seen }
            logger.warning("The certificate was changed and cannot be used, the old one stays: \(error)")
        }
    }

    private func warn(_ now: Int) {
        let expires = self.state.withLock { state -> Int? in
            guard now > state.identity.expires - Self.warningSeconds, now > state.warned + Self.daySeconds else {
                return nil
            }
            state.warned = now
            return state.identity.expires
        }
        if let expires {
            logger.warning(
                "The certificate \(certificate) ends soon",
                metadata: ["expires": "\(Self.text(expires))"]
            )
        }
    }

    private static func text(_ seconds: Int) -> String { CivilTime.rfc3339(Double(seconds)) }
}

/// What tells one state of a file from another, also when it was replaced within the resolution of its time.
private struct FileMark: Equatable {
    private let numbers: [Int]

    /// Nil for a file that is not there.
    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            return nil
        }
        numbers = [
            Int(status.st_dev), Int(truncatingIfNeeded: status.st_ino), Int(status.st_size), Int(status.st_mode),
            status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec,
        ]
    }
}
