return { VERSION = "1.0" }
