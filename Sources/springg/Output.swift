import Glibc

/// Text to the two standard streams, each call in one write(2) where the system allows it.
enum Output {
    /// For results: what a script reads.
    static func standardOutput(_ text: String) { write(text, to: STDOUT_FILENO) }

    /// For everything that is not the result: errors, log, progress.
    static func standardError(_ text: String) { write(text, to: STDERR_FILENO) }

    private static func write(_ text: String, to descriptor: Int32) {
        var text = text
        text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
                if count >= 0 {
                    rest = UnsafeRawBufferPointer(rebasing: rest[count...])
                } else if errno != EINTR {
                    return  // A closed pipe or a full disk: there is nowhere left to say so.
                }
            }
        }
    }
}
