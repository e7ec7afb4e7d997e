return {
  name = "conform-lua",
  fields = {
    { config = {
      type = "record",
      fields = {
        { out = { type = "string" } },
        { handshake = { type = "string" } },
      },
    } },
  },
}
