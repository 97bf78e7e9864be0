import Glibc

/// Signals by what they ask for.
enum Signals {
    static let terminate = SIGTERM
}
