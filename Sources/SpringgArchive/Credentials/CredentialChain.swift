package import SpringgLog
import Synchronization

/// The credentials in force: found in AWS's order of places, kept, and fetched anew before they end.
package final class CredentialChain: Sendable {
    private struct State {
        var current: AWSCredentials?
        /// Before this moment nobody tries to fetch ahead of time again.
        var nextEarlySeconds = 0
    }

    private let sources: [any CredentialSource]
    private let wallClockSeconds: @Sendable () -> Int
    private let state = Mutex(State())
    /// One fetches, the others wait or go on with what there is.
    private let fetching = Turnstile(1)

    /// New keys are looked for so long before the old ones end: the metadata service has them at least five minutes before.
    static let earlySeconds = 15 * 60
    /// Keys that end sooner are not used to begin with, if others can be had.
    static let marginSeconds = 60
    /// Between two attempts ahead of time.
    static let earlyPauseSeconds = 60

    /// A chain of any places, asked in this order.
    package init(_ sources: [any CredentialSource], wallClockSeconds: @escaping @Sendable () -> Int) {
        self.sources = sources
        self.wallClockSeconds = wallClockSeconds
    }

    /// AWS's order: environment, profile, container, instance role.
    package convenience init(
        environment: @escaping Environment,
        transport: any HTTPTransport,
        fileSystem: any FileSystem,
        wallClockSeconds: @escaping @Sendable () -> Int
    ) {
        self.init(
            [
                EnvironmentCredentials(environment: environment),
                ProfileCredentials(environment: environment, fileSystem: fileSystem),
                ContainerCredentials(environment: environment, transport: transport, fileSystem: fileSystem),
                InstanceRoleCredentials(metadata: InstanceMetadata(environment: environment, transport: transport)),
            ],
            wallClockSeconds: wallClockSeconds
        )
    }

    /// What to sign with now; blocks when there is nothing valid at hand.
    ///
    /// `refused` are credentials that the store no longer accepts: others are fetched, though they may turn out to be the
    /// same.
    package func current(insteadOf refused: AWSCredentials? = nil) throws(CredentialProblem) -> AWSCredentials {
        let now = wallClockSeconds()
        if let kept = usable(now, refused) {
            guard isEnding(kept, now), fetching.tryEnter() else { return kept }
            defer { fetching.leave() }
            // Ahead of time: a failure costs nothing yet.
            return (try? fetch(now)) ?? kept
        }
        fetching.enter()
        defer { fetching.leave() }
        // Whoever was here before may have brought them.
        if let kept = usable(now, refused) { return kept }
        do throws(CredentialProblem) {
            return try fetch(now)
        } catch {
            // The last seconds of the old ones are better than none.
            let kept = state.withLock { $0.current }
            guard let kept, kept != refused, kept.expirySeconds.map({ $0 > now }) ?? true else { throw error }
            return kept
        }
    }

    private func usable(_ now: Int, _ refused: AWSCredentials?) -> AWSCredentials? {
        state.withLock { state in
            guard let kept = state.current, kept != refused else { return nil }
            // Ended ones too, for a moment after a fetch that brought no others: the service may be in trouble, or this clock.
            let isValid = kept.expirySeconds.map { $0 - now > CredentialChain.marginSeconds } ?? true
            return isValid || now < state.nextEarlySeconds ? kept : nil
        }
    }

    private func isEnding(_ credentials: AWSCredentials, _ now: Int) -> Bool {
        guard let expiry = credentials.expirySeconds, expiry - now < CredentialChain.earlySeconds else { return false }
        return state.withLock { now >= $0.nextEarlySeconds }
    }

    private func fetch(_ now: Int) throws(CredentialProblem) -> AWSCredentials {
        state.withLock { $0.nextEarlySeconds = now + CredentialChain.earlyPauseSeconds }
        for source in sources {
            do throws(CredentialProblem) {
                guard let found = try source.fetch() else { continue }
                state.withLock { $0.current = found }
                return found
            } catch {
                throw CredentialProblem("\(source.name): \(error.reason)", isTransient: error.isTransient)
            }
        }
        throw CredentialProblem("none in " + sources.map(\.name).joined(separator: ", "))
    }
}
