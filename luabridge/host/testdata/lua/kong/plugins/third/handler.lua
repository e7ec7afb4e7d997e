return require("trace").handler("third", 10)
