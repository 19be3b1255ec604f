// Tokens and keys made once by another implementation (joserfc 1.6.5 on OpenSSL), so that this one is not tested against
// itself. Claims: sub alice, iss https://id.example, aud [nanobot, other], iat 1790000000, exp 4000000000.

enum SignedTokens {
    static let secret = "a secret of the test, which is long enough"
    static let keySet =
        #"{"keys":[{"n":"uLx3zTo03MK_bA5RGDMNwmiukUnijo4zZEAcuVJe5kZzVhF9gzwAKATm30iXGSnHmcAQL-LJD7m"#
        + #"2h8MS5zJj5xl1yok4ljRT5dKCUMvTUaZN19wS5hfSEM3GIKfxlsChEddj8tRb5NK90RTDYg8K5ayK1TgWKOkW3kHh4"#
        + #"ZKg7grthx0-IUpUZIbBTEFuXi2Onj2J_212X0NAevy4QoVoGh6Vu6UFe2n133tLa9sYDr5a1A4oNgyBI8ITVw7re1X"#
        + #"5QdIEkmOQGdfEMNjL_YqUubECHrFvMnEFXKXn4MGeCIEkzDE9W7WB7xMuAK5_PnO7Z1CgGCjdOftZsyEmqZb1Jw",""#
        + #"e":"AQAB","kid":"rsa-1","use":"sig","alg":"RS256","kty":"RSA"},{"crv":"P-256","x":"SOLHpIR"#
        + #"1f5r_9Hx7zIQrz5WFuD5Yc1i_LICXQy_Eo-k","y":"pe0uCOY6BRjtVUk_WqU2ix25Aj5yYmfKcq2LHkNxixI","k"#
        + #"id":"ec-1","kty":"EC"}]}"#
    static let rs256 =
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiIsImtpZCI6InJzYS0xIn0.eyJzdWIiOiJhbGljZSIsImlzcyI6Imh0dHBzOi8vaWQu"
        + "ZXhhbXBsZSIsImF1ZCI6WyJuYW5vYm90Iiwib3RoZXIiXSwiaWF0IjoxNzkwMDAwMDAwLCJleHAiOjQwMDAwMDAwMDB9.dLUXMQh"
        + "vntiGmvE59qG8vJwy1Z2wOYeFMHu7wCSxV8kDjeu3Hx-cAQFJ8TGPIwHrY8bzYRdtau14mf4OGqD8vr-xTt-ZPvB0FD1IMGQ0FGU"
        + "9VtY-xdambbbrHQj6zLT4NUvRbDuIVpfDnDFm-Mu9Bvm6zt-CLR975RKpLCDViFjXZ66Iu-SI3tFD823NceUDaZngtsoI5MJMvQN"
        + "vjQgiPSyYlf7sOUNd13UZuqviNcHADqlWCuQ7bI369kSY2wiZLqiMzMzFauGh_W__YjtMvWOFOX5KA8DV4O4hOvzF1Ky4soXzG0H"
        + "Xe5qZ2mFQhM8-z6V93rahYQXcD_GJgquzJQ"
    static let es256 =
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiIsImtpZCI6ImVjLTEifQ.eyJzdWIiOiJhbGljZSIsImlzcyI6Imh0dHBzOi8vaWQuZ"
        + "XhhbXBsZSIsImF1ZCI6WyJuYW5vYm90Iiwib3RoZXIiXSwiaWF0IjoxNzkwMDAwMDAwLCJleHAiOjQwMDAwMDAwMDB9.14fQUpI-"
        + "jk9ZVXpTrKU0GB_-QufaUXewuy37heuJfYxwYFBVKtFrD27y3vlDlwEzSh6LXOK1w8u1mbEBGcndIQ"
    static let hs256 =
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSIsImlzcyI6Imh0dHBzOi8vaWQuZXhhbXBsZSIsImF1ZCI"
        + "6WyJuYW5vYm90Iiwib3RoZXIiXSwiaWF0IjoxNzkwMDAwMDAwLCJleHAiOjQwMDAwMDAwMDB9.7cXEFPiT_ShEGU2-4TieoqPYBG"
        + "8ZWu-mkXuVGJOj7Es"
}
