import Glibc
import SpringgTestKit

/// Asks until something is so; false when a minute, or so long as is said, has passed.
func comesTrue(within seconds: Double = 60, _ isSo: () throws -> Bool) throws -> Bool {
    let deadline = Deadline(seconds: seconds)
    while try !isSo() {
        guard !deadline.isOver else { return false }
        // Whoever is asked without a pause has no time for anything else.
        usleep(20_000)
    }
    return true
}
