import Foundation

/// The files of the repository, found from where this file was compiled.
enum Repository {
    static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// A file with its path from the root and its lines.
    struct File: Sendable, CustomStringConvertible {
        let path: String
        let lines: [Substring]

        var description: String { path }
    }

    /// Every text file below a directory of the root, in order of path; build products and git's own left out.
    static func files(in directory: String = "", suffix: String = "") throws -> [File] {
        try paths(in: directory).filter { $0.hasSuffix(suffix) }.compactMap { path in
            // Binary fixtures are no UTF-8 and of no interest here.
            guard let text = try? String(contentsOf: root.appending(path: path), encoding: .utf8) else { return nil }
            return File(path: path, lines: text.split(separator: "\n", omittingEmptySubsequences: false))
        }
    }

    static func text(of path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    private static func paths(in directory: String) throws -> [String] {
        var found: [String] = []
        let start = directory.isEmpty ? root : root.appending(path: directory)
        for name in try FileManager.default.contentsOfDirectory(atPath: start.path).sorted() {
            guard name != ".git", name != ".swiftpm", name != "__pycache__", !name.hasPrefix(".build") else { continue }
            let path = directory.isEmpty ? name : directory + "/" + name
            var isDirectory: ObjCBool = false
            guard FileManager.default.fileExists(atPath: root.appending(path: path).path, isDirectory: &isDirectory)
            else { continue }
            if isDirectory.boolValue {
                found += try paths(in: path)
            } else {
                found.append(path)
            }
        }
        return found
    }
}
