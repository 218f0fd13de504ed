"""Token ids in, token ids out, as fast as the machine reads weights. `decoder.Decoder` is the way in."""
