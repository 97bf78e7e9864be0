import CSpringg

/// What a process keeps of the memory that it has freed.
public enum FreeMemory {
    /// Bytes of one piece that goes back at once, and of what a thread's part of the heap may end with.
    ///
    /// More than most requests take, so that these need no fresh pages.
    private static let bytesKept: CInt = 1 << 20

    /// Has what is more go back to the system, from now on and for all threads.
    ///
    /// Left alone, each thread's part of the heap keeps the most that it ever needed, for a checkpoint or a large body: several times
    /// what is in use.
    public static func keepLittle() { springg_keep_little_free_memory(bytesKept) }
}
