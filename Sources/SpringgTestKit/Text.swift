extension String {
    /// How often `text` occurs.
    package func occurrences(of text: String) -> Int {
        let pattern = Array(text.utf8)
        return utf8.indices.count { utf8[$0...].starts(with: pattern) }
    }
}
