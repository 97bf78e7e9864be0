import SpringgLog
import Synchronization

/// The way to one bucket: signs, sends, and sends again what failed in passing.
///
/// The decisions are elsewhere and pure: `S3Verdict` says what an answer means, `RetryRule` when to try again.
final class S3Connection: Sendable {
    let bucket: String
    let options: S3Options
    let clock: StoreClock

    private let address: S3Address
    private let signature: AWSSignature
    private let transport: any HTTPTransport
    private let credentials: CredentialChain
    private let retries: RetryRule
    private let state: Mutex<State>
    private let closing: Turnstile
    private let isClosed = Atomic<Bool>(false)

    private struct State {
        /// What the store's clock is ahead of this machine's.
        var clockOffsetSeconds = 0
        /// Before this moment nobody sends anything: the store has asked for a rest.
        var quietUntilMilliseconds = 0
        var random: any RandomNumberGenerator & Sendable
    }

    init(
        bucket: String,
        options: S3Options,
        address: S3Address,
        transport: any HTTPTransport,
        credentials: CredentialChain,
        clock: StoreClock,
        closing: Turnstile,
        random: any RandomNumberGenerator & Sendable
    ) {
        self.bucket = bucket
        self.options = options
        self.address = address
        self.signature = AWSSignature(region: options.region, service: "s3")
        self.transport = transport
        self.credentials = credentials
        self.clock = clock
        self.closing = closing
        self.retries = RetryRule(attemptsMax: options.attemptsMax)
        self.state = Mutex(State(random: random))
    }

    func close() {
        isClosed.store(true, ordering: .releasing)
        transport.close()
        closing.leave()
    }

    /// Sends an operation until it works, is refused, or patience ends.
    ///
    /// `refusalsInSuccess`: an answer of status 200 may hold an error document, as S3 sends it when it says success before it
    /// knows.
    func perform(
        _ operation: S3Operation,
        refusalsInSuccess: Bool = false
    ) throws(ObjectStoreError) -> HTTPAnswer {
        do throws(TransferFailure) {
            return try perform {
                operation
            } progress: {
                0
            } onBody: { _, _ in
            } judge: { answer in
                guard refusalsInSuccess, let error = XMLElement(answer.body), error.name == "Error" else { return nil }
                return S3Verdict(
                    S3Problem(answer, error),
                    serverSeconds: nil,
                    place: operation.place,
                    store: bucket,
                    localSeconds: 0
                )
            }
        } catch {
            throw error.storeError
        }
    }

    /// The store's clock as far as it is known.
    func storeSeconds() -> Int { clock.wallSeconds() + state.withLock { $0.clockOffsetSeconds } }

    /// A name that nobody else has: 128 random bits.
    func randomName() -> String {
        state.withLock { state in
            let words = (state.random.next(), state.random.next())
            return String(words.0, radix: 16) + "-" + String(words.1, radix: 16)
        }
    }

    /// Sends what `operation` gives, anew for each attempt.
    ///
    /// `progress` counts bytes that need not be sent again: whoever gets ahead keeps his patience. `judge` may find a fault in
    /// an answer that says success.
    func perform(
        _ operation: () -> S3Operation,
        progress: () -> Int,
        onBody: (HTTPAnswer, UnsafeRawBufferPointer) throws -> Void,
        judge: (HTTPAnswer) -> S3Verdict?
    ) throws(TransferFailure) -> HTTPAnswer {
        var attempt = 0
        var lastProgress = 0
        var isClockCorrected = false
        var refused: AWSCredentials?
        while true {
            attempt += 1
            try waitUntilWelcome()
            let operation = operation()
            let keys: AWSCredentials
            do throws(CredentialProblem) {
                keys = try credentials.current(insteadOf: refused)
            } catch {
                throw .store(.noCredentials(error.reason))
            }
            let seconds = storeSeconds()
            var verdict: S3Verdict
            var answer = HTTPAnswer()
            do throws(HTTPFailure) {
                answer = try transport.send(signed(operation, keys, atSeconds: seconds), onBody: onBody)
                verdict = S3Verdict(answer, place: operation.place, store: bucket, localSeconds: seconds)
                if verdict == .success, let fault = judge(answer) { verdict = fault }
            } catch .consumer(let error) {
                throw .consumer(error)
            } catch {
                verdict = S3Verdict(error, place: operation.place)
            }
            switch verdict {
            case .success: return answer
            case .fail(let error): throw .store(error)
            case .correctClock(let serverSeconds, let error):
                guard !isClockCorrected else { throw .store(error) }
                isClockCorrected = true
                state.withLock { $0.clockOffsetSeconds = serverSeconds - clock.wallSeconds() }
            case .renewCredentials(let error):
                guard refused == nil, let others = try? credentials.current(insteadOf: keys), others != keys else {
                    throw .store(error)
                }
                refused = keys
            case .retry(let reason, let error):
                if progress() - lastProgress >= S3Connection.progressBytesMin { attempt = 1 }
                lastProgress = progress()
                try rest(afterAttempt: attempt, reason, error)
            }
        }
    }

    /// Less than this between two failures is no progress: a server that breaks off after each byte is not waited for.
    private static let progressBytesMin = 64 << 10

    /// Waits while the store has asked everybody to.
    private func waitUntilWelcome() throws(TransferFailure) {
        let wait = state.withLock { $0.quietUntilMilliseconds } - clock.monotonicMilliseconds()
        if wait > 0 { clock.pause(wait) }
        if isClosed.load(ordering: .acquiring) { throw .store(.closed) }
    }

    /// Waits as the rule says, or throws what has been given up.
    private func rest(
        afterAttempt attempt: Int,
        _ reason: RetryRule.Reason,
        _ error: ObjectStoreError
    ) throws(TransferFailure) {
        let pause = state.withLock { state in
            var random = AnyRandom(state.random)
            defer { state.random = random.base }
            let pause = retries.pause(afterAttempt: attempt, reason, using: &random)
            if let pause, case .overload = reason {
                // Not this call alone: what the store has too much of comes from all of them.
                state.quietUntilMilliseconds = max(state.quietUntilMilliseconds, clock.monotonicMilliseconds() + pause)
            }
            return pause
        }
        guard let pause else { throw .store(error) }
        if isClosed.load(ordering: .acquiring) { throw .store(.closed) }
        clock.pause(pause)
    }

    /// The request of an operation, with all that S3 asks for.
    private func signed(_ operation: S3Operation, _ keys: AWSCredentials, atSeconds seconds: Int) -> HTTPRequest {
        let path =
            operation.fullKey.map { address.root + PercentEncoding.encode($0, keepingSlashes: true) } ?? address.root
        var request = HTTPRequest(operation.method, address.endpoint, path: path)
        request.query = operation.query
        request.headers = operation.headers
        request.body = operation.body
        request.streamsAnswer = operation.streamsAnswer
        request.answerBytesMax = operation.answerBytesMax
        request.timeouts.connectMilliseconds = options.connectTimeoutMilliseconds
        request.timeouts.stallSeconds = options.stallTimeoutSeconds
        let payload = operation.digest?.sha256Hex ?? AWSSignature.emptyPayload
        request.headers.append(HTTPField("x-amz-content-sha256", payload))
        signature.sign(&request, keys, payload: payload, atSeconds: seconds)
        return request
    }
}

/// Why a transfer ended: by the store's fault or by the one who takes its bytes.
enum TransferFailure: Error {
    case store(ObjectStoreError)
    case consumer(any Error)

    /// For operations whose answer nobody consumes.
    var storeError: ObjectStoreError {
        switch self {
        case .store(let error): error
        case .consumer(let error): .unexpected(at: "answer", "\(error)")
        }
    }
}

/// A generator of a type known only at run time.
private struct AnyRandom: RandomNumberGenerator {
    var base: any RandomNumberGenerator & Sendable

    init(_ base: any RandomNumberGenerator & Sendable) { self.base = base }

    mutating func next() -> UInt64 { base.next() }
}
