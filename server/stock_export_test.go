package server

import "time"

// SetStockTime sets how long events of a Kong without the bridge wait. It is
// called before the first one.
func (s *Server) SetStockTime(d time.Duration) { s.stock.time = d }

// StockEvents counts the events that Kong may send steps for.
func (s *Server) StockEvents() int {
	s.stock.mu.Lock()
	defer s.stock.mu.Unlock()
	return len(s.stock.events)
}

// StockConns counts the connections of a Kong without the bridge.
func (s *Server) StockConns() int {
	s.stock.mu.Lock()
	defer s.stock.mu.Unlock()
	return s.stock.conns
}

// Instances counts what the registry holds.
func (s *Server) Instances() int { return s.registry.count() }
