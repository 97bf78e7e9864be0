import Glibc
import SpringgTestKit
import Testing

@Suite struct ChildProcessTests {
    @Test func outputErrorsAndExitCodeAreCollected() throws {
        let directory = try TemporaryDirectory()
        let result = try ChildProcess.run(
            "/bin/sh",
            ["-c", "pwd; echo $GREETING; echo oops >&2; exit 7"],
            environment: ["GREETING": "hello"],
            workingDirectory: directory.path
        )
        #expect(result.status == .exited(7))
        #expect(result.output == directory.path + "\nhello\n")
        #expect(result.errors == "oops\n")
    }

    @Test func aSignalledProcessIsReapedAndSaysSo() throws {
        let child = try ChildProcess(
            executable: "/bin/cat",
            arguments: ["/dev/zero"],
            environment: [:],
            workingDirectory: "/"
        )
        #expect(child.isRunning)
        child.send(signal: SIGKILL)
        #expect(try child.wait(seconds: 5) == .signalled(SIGKILL))
        #expect(!child.isRunning)
    }

    @Test func usageOfThisProcessIsPlausible() throws {
        let usage = try ProcessUsage(pid: getpid())
        #expect(usage.residentBytes > 1 << 20)
        #expect(usage.cpuSeconds >= 0 && usage.writtenBytes >= 0)
    }

    @Test func filesAreCopiedFlippedAndRemoved() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path
        try Files.write(path + "/a", [1, 2, 3])
        try Files.flip(path + "/a", offset: 1, mask: 0x80)
        try #require(mkdir(path + "/d", 0o755) == 0)
        try Files.write(path + "/d/b", [UInt8](repeating: 9, count: 10_000))
        try Files.copyTree(path, to: path + "-copy")
        #expect(try Files.read(path + "-copy/a") == [1, 0x82, 3])
        #expect(Files.treeSize(path + "-copy").apparent == 10_003)
        Files.removeTree(path + "-copy")
        #expect(!Files.exists(path + "-copy"))
    }
}

@Suite struct FixtureVectorsTests {
    /// 0x3C00 is one, 0xC000 minus two, 0x7BFF the largest, 0x0001 the smallest (IEEE 754-2019, binary16).
    @Test func halfFloatsAreDecoded() {
        #expect([0x3C00, 0xC000, 0x7BFF, 0x0001, 0x8000].map(FixtureVectors.float) == [1, -2, 65504, 0x1p-24, 0])
        #expect(FixtureVectors.float(half: 0x8000).sign == .minus)
        #expect(abs(FixtureVectors.float(half: 0x3555) - 1.0 / 3) < 1e-3)
        #expect(FixtureVectors.float(half: 0x7C00) == .infinity)
    }
}
