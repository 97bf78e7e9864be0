import Glibc

/// What the program tells its caller when it ends.
///
/// A second signal while the server stops ends it at once with 128 plus the signal's number, as shells do.
enum ExitStatus: Int32 {
    /// Everything was done.
    case success = 0
    /// Something failed; standard error says what, and what to do.
    case failure = 1
    /// The command line made no sense.
    case usage = 2
    /// What was looked at is damaged or has flaws; standard output lists them.
    case findings = 6

    /// Ends the program.
    func exit() -> Never { Glibc.exit(rawValue) }
}

/// A failure with its text and what to do about it.
struct CommandFailure: Error {
    let message: String
    let advice: String?

    init(_ message: String, advice: String? = nil) {
        self.message = message
        self.advice = advice
    }

    /// Runs calls whose errors describe themselves.
    static func wrap<R>(_ body: () throws -> R) throws -> R {
        do {
            return try body()
        } catch let error as CommandFailure {
            throw error
        } catch {
            throw CommandFailure("\(error)")
        }
    }
}
