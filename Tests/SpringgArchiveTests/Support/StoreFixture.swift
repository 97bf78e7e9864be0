import SpringgArchive
import SpringgLog
import SpringgTestKit
import Synchronization

/// A store that talks to a `FakeS3`, with time that passes only when it is waited for.
struct StoreFixture {
    let fake: FakeS3
    let store: S3Store
    let time: TestTime

    /// Milliseconds that the store has waited, each time.
    var pauses: [Int] { time.pauses }

    init(
        prefix: String = "some/prefix",
        seed: UInt64 = 1,
        environment: [String: String] = [:],
        _ change: (inout S3Options) -> Void = { _ in }
    ) throws {
        fake = try FakeS3()
        time = TestTime(seconds: FakeS3.start)
        var options = S3Options()
        options.region = "eu-test-1"
        options.endpoint = fake.endpoint
        options.stallTimeoutSeconds = 1
        change(&options)
        let time = self.time
        let transport = CurlClient(connectionsMax: options.connectionsMax)
        var variables = ["AWS_ACCESS_KEY_ID": FakeS3.keys.id, "AWS_SECRET_ACCESS_KEY": FakeS3.keys.secret]
        variables.merge(environment) { $1 }
        let environment = variables
        store = try S3Store(
            bucket: FakeS3.bucket,
            prefix: prefix,
            options: options,
            environment: { environment[$0] },
            transport: transport,
            credentials: CredentialChain(
                environment: { environment[$0] },
                transport: transport,
                fileSystem: SimulatedFileSystem(),
                wallClockSeconds: { time.seconds }
            ),
            clock: time.clock,
            random: SeededRandom(seed: seed)
        )
    }
}

/// A clock that stands still between pauses.
final class TestTime: Sendable {
    private struct State {
        var milliseconds: Int
        var pauses: [Int] = []
    }

    private let state: Mutex<State>

    init(seconds: Int) { state = Mutex(State(milliseconds: seconds * 1_000)) }

    var seconds: Int { state.withLock { $0.milliseconds / 1_000 } }

    var pauses: [Int] { state.withLock { $0.pauses } }

    func advance(seconds: Int) { state.withLock { $0.milliseconds += seconds * 1_000 } }

    var clock: StoreClock {
        StoreClock {
            self.seconds
        } monotonicMilliseconds: {
            self.state.withLock { $0.milliseconds }
        } pause: { milliseconds in
            self.state.withLock { state in
                state.pauses.append(milliseconds)
                state.milliseconds += milliseconds
            }
        }
    }
}
