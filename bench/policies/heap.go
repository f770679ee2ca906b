package policies

// heap is a binary heap of objects, the least key first, that knows where each
// object is and so can change or remove any of them.
type heap struct {
	ids  []uint32
	keys []float64 // by id
	at   []int32   // by id: 1 + the index in ids, 0 outside
}

func newHeap(objects int) heap {
	return heap{keys: make([]float64, objects), at: make([]int32, objects)}
}

func (h *heap) has(id uint32) bool { return h.at[id] != 0 }

// set puts an object in, or gives it another key.
func (h *heap) set(id uint32, key float64) {
	h.keys[id] = key
	if h.at[id] == 0 {
		h.ids = append(h.ids, id)
		h.at[id] = int32(len(h.ids))
	}
	h.down(h.up(int(h.at[id]) - 1))
}

func (h *heap) remove(id uint32) {
	i, last := int(h.at[id])-1, len(h.ids)-1
	moved := h.ids[last]
	h.ids = h.ids[:last]
	h.at[id] = 0
	if i < last {
		h.ids[i], h.at[moved] = moved, int32(i+1)
		h.down(h.up(i))
	}
}

// up moves the object at index i towards the top and returns where it came to.
func (h *heap) up(i int) int {
	id := h.ids[i]
	key := h.keys[id]
	for i > 0 {
		parent := (i - 1) / 2
		other := h.ids[parent]
		if h.keys[other] <= key {
			break
		}
		h.ids[i], h.at[other] = other, int32(i+1)
		i = parent
	}
	h.ids[i], h.at[id] = id, int32(i+1)
	return i
}

// down moves the object at index i away from the top.
func (h *heap) down(i int) {
	id := h.ids[i]
	key := h.keys[id]
	for {
		child := 2*i + 1
		if child >= len(h.ids) {
			break
		}
		if right := child + 1; right < len(h.ids) && h.keys[h.ids[right]] < h.keys[h.ids[child]] {
			child = right
		}
		other := h.ids[child]
		if key <= h.keys[other] {
			break
		}
		h.ids[i], h.at[other] = other, int32(i+1)
		i = child
	}
	h.ids[i], h.at[id] = id, int32(i+1)
}
