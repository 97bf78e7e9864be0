import Glibc

/// Why something of the test kit itself failed: what was tried, and what came instead.
public struct TestKitError: Error, CustomStringConvertible, Sendable {
    /// The whole story in one sentence.
    public let description: String

    /// An error that says `description`.
    public init(_ description: String) {
        self.description = description
    }

    /// The error of the system call that just failed.
    public static func system(_ what: String, _ code: Int32? = nil) -> TestKitError {
        TestKitError("\(what): \(String(cString: strerror(code ?? errno)))")
    }
}
