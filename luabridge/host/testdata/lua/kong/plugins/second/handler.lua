return require("trace").handler("second", 20)
