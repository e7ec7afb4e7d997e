-- Kong's own rules: 80 columns, nothing unused; kong is the plugin's.
std = "ngx_lua+luajit"
max_line_length = 80
globals = { "kong" }
