package metrics

import (
	"math/bits"
	"time"
)

// The buckets of a latency: one up to about a microsecond, then four for each
// power of two up to 17 s, and one for what takes longer.
const (
	firstPower = 10 // 2¹⁰ ns
	lastPower  = 34 // 2³⁴ ns
	perPower   = 4
	Buckets    = (lastPower-firstPower)*perPower + 2
)

// Latency is a histogram of times.
type Latency struct {
	Nanos  uint64          // all of them together, in nanoseconds
	Counts [Buckets]uint64 // of times, by bucket
}

// Count counts a time.
func (l *Latency) Count(d time.Duration) {
	ns := uint64(max(d, 0))
	l.Nanos += ns
	l.Counts[bucket(ns)]++
}

// bucket is the bucket of a time in nanoseconds: the first whose bound is no less.
func bucket(ns uint64) int {
	switch {
	case ns <= 1<<firstPower:
		return 0
	case ns > 1<<lastPower:
		return Buckets - 1
	}
	ns-- // a bound is in the bucket below it
	power := bits.Len64(ns) - 1
	part := ns >> (power - 2) & (perPower - 1)
	return 1 + (power-firstPower)*perPower + int(part)
}

// bound is the longest time of a bucket but the last, in nanoseconds.
func bound(bucket int) uint64 {
	if bucket == 0 {
		return 1 << firstPower
	}
	bucket--
	return uint64(perPower+1+bucket%perPower) << (firstPower + bucket/perPower - 2)
}

// Since gives the times that were counted since the histogram was what was is.
func (l *Latency) Since(was *Latency) (more Latency) {
	if l.Nanos > was.Nanos {
		more.Nanos = l.Nanos - was.Nanos
	}
	for i := range more.Counts {
		if l.Counts[i] > was.Counts[i] {
			more.Counts[i] = l.Counts[i] - was.Counts[i]
		}
	}
	return more
}

// Total is how many times were counted.
func (l *Latency) Total() (n uint64) {
	for _, c := range l.Counts {
		n += c
	}
	return n
}

// Quantile gives the time that a part q, from 0 to 1, of those counted did not
// exceed, off by an eighth at most, and 17 s where it was longer; false where
// nothing was counted.
func (l *Latency) Quantile(q float64) (time.Duration, bool) {
	rank, below := q*float64(l.Total()), 0.0
	for i, c := range l.Counts {
		if c == 0 {
			continue
		}
		if above := below + float64(c); above >= rank {
			if i == Buckets-1 {
				return 1 << lastPower, true
			}
			from := 0.0
			if i > 0 {
				from = float64(bound(i - 1))
			}
			part := max(rank-below, 0) / float64(c)
			return time.Duration(from + part*(float64(bound(i))-from)), true
		}
		below += float64(c)
	}
	return 0, false
}
