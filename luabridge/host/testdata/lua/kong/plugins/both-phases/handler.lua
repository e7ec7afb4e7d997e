return { PRIORITY = 1, VERSION = "1.0", response = print, body_filter = print }
