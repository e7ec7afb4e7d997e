return require("trace").handler("first", 30)
