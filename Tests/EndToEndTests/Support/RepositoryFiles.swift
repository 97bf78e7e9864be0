import SpringgTestKit

/// Files of the repository that tests read.
enum RepositoryFiles {
    /// The repository's root, from where this file was compiled.
    static var root: String {
        // Tests/EndToEndTests/Support/RepositoryFiles.swift
        "/" + #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
    }
}
