"""How far the speed prediction is from what others published: the error on the tuned half and on the rest."""
