--- What the specs of this folder have in common: cases, and the line of output
-- for each that ring_test.go reads.


local _M = {}


local failed = false


--- Runs a case and prints "ok NAME" or "not ok NAME: why".
function _M.case(name, fn)
  local ok, err = xpcall(fn, debug.traceback)
  if ok then
    print("ok " .. name)
  else
    failed = true
    print("not ok " .. name .. ": " .. tostring(err):gsub("\n", "\\n"))
  end
end


--- Raises unless two values are the same.
function _M.equal(want, got, what)
  if want ~= got then
    error(("%s: want %s, got %s"):format(what or "value", tostring(want),
                                         tostring(got)), 2)
  end
end


--- Ends the spec, with a status that says whether all cases passed.
function _M.finish()
  os.exit(failed and 1 or 0)
end


return _M
