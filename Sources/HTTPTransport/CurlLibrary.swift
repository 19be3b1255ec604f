// libcurl's process-wide set-up, once. Any thread.
import CCurl
import Glibc

enum CurlLibrary {
    /// The result of `curl_global_init`, which must run once, before any other thread uses libcurl: the first use of
    /// this constant runs it, all others wait.
    ///
    /// Transfers run with CURLOPT_NOSIGNAL, so libcurl leaves SIGPIPE alone, but a write of OpenSSL to a closed
    /// connection raises it. Where the process has not decided otherwise it is ignored from here on.
    static let started: CURLcode = {
        var current = sigaction()
        if sigaction(SIGPIPE, nil, &current) == 0, current.sa_flags & SA_SIGINFO == 0,
            current.__sigaction_handler.sa_handler == nil
        {
            signal(SIGPIPE, SIG_IGN)
        }
        return curl_global_init(Int(CURL_GLOBAL_DEFAULT))
    }()
}
